import { load } from "../packages.mjs";
import * as tasks from "./tasks.mjs";

const { default: workerpool } = await load("workerpool");

workerpool.worker({ ...tasks, move: (buffer) => new workerpool.Transfer(buffer, [buffer]) });
