import { testFleet } from "../every_call.ts";
import { POSTGRES } from "../stores.ts";

testFleet(POSTGRES);
