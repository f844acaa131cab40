import { load } from "../packages.mjs";
import { handOn } from "./early.mjs";
import * as tasks from "./tasks.mjs";

const { expose } = await load("comlink");

expose(tasks);
handOn();
