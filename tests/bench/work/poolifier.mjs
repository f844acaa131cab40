import { load } from "../packages.mjs";
import * as tasks from "./tasks.mjs";

const { ThreadWorker } = await load("poolifier");

// It has no way to move a result: the way back copies.
export default new ThreadWorker({ ...tasks, move: tasks.copy });
