import { testFleet, testMultiProcess } from "./every_call.ts";
import { REDIS } from "./stores.ts";

testMultiProcess();
testFleet(REDIS);
