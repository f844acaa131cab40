import { testHangs } from "./hangs.ts";

testHangs("thread");
testHangs("process");
