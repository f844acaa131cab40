import type { ModuleBook } from "./module_book.ts";
import type { Orders } from "./orders.ts";
import type { Placement } from "./placement.ts";
import type { Result, SchedulerOptions, Task } from "./scheduling.ts";
import type { Staff } from "./staff.ts";
import type { WaitingTasks } from "./waiting_tasks.ts";

/** What the parts of a scheduler have in common. */
export interface Books<T extends Task, R extends Result> {
  /** Sizes may change. */
  readonly options: SchedulerOptions;
  readonly orders: Orders<T, R>;
  readonly staff: Staff<T, R>;
  readonly modules: ModuleBook;
  readonly queue: WaitingTasks<T>;
  readonly placement: Placement<T>;
}
