import type { DeathData, RetryData } from "../../src/wire/protocol.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type {
  Capacity,
  Command,
  Event,
  Result,
  SchedulerOptions,
  Task,
} from "../../src/scheduler/scheduling.ts";

/** How workers die here. */
export const DEATH: DeathData = { reason: "exit", exitCode: 3, message: "exited with code 3" };

/** A task that says what it is told to be. */
export interface FakeTask extends Task {
  retry: RetryData | undefined;
}

/** A task of module 0 with a limit of 100 ms, pushed at 0. */
export function fake(id: number, more: Partial<FakeTask> = {}): FakeTask {
  return {
    id,
    module: 0,
    timeout: 100,
    softTimeout: undefined,
    cancelGrace: undefined,
    timeoutGrace: undefined,
    retry: undefined,
    exclusive: false,
    bytes: 0,
    sendMs: 0,
    lastRun: undefined,
    refusals: 0,
    priority: 0,
    pushedAt: 0,
    attempts: 0,
    seq: 0,
    slot: 0,
    state: "queued",
    cancelled: "no",
    crashed: false,
    ...more,
  };
}

/** The options of a scheduler, and of its threads. */
export type FakeOptions = Partial<SchedulerOptions & Capacity>;

/** A pool of one worker and a spare. */
export function options(more: FakeOptions = {}): SchedulerOptions {
  const { maxStarting = Infinity, maxOffered = 256, maxSeq = Infinity, maxSpan = 512, ...rest } = more;
  const capacity = { maxStarting, maxOffered, maxSeq, maxSpan };
  return {
    kind: "thread",
    processes: false,
    capacity: { thread: capacity, process: { ...capacity, maxOffered: 1 } },
    size: 1,
    minSize: more.size ?? 1,
    idleTimeout: 10_000,
    spares: 1,
    maxSpares: more.spares ?? 1,
    maxTasksPerWorker: Infinity,
    loadTimeout: 1_000,
    cores: 1,
    takesOver: false,
    cell: false,
    headStart: false,
    disposeTimeout: undefined,
    killGrace: 300,
    cancelGrace: 0,
    timeoutGrace: 0,
    maxZombies: 4,
    restarts: 2,
    ...rest,
  };
}

/** What the scheduler says. */
export type FakeCommand = Command<FakeTask, Result>;

/** What the scheduler is told. */
export type FakeEvent = Event<FakeTask, Result>;

/** A scheduler whose workers are all ready. */
export function warm(more: FakeOptions = {}) {
  const scheduler = new Scheduler<FakeTask, Result>(options(more));
  for (const command of scheduler.start(0)) {
    if (command.type === "spawn") scheduler.handle({ type: "ready", worker: command.worker }, 0);
  }
  const tell = (event: FakeEvent, now: number): FakeCommand[] => scheduler.handle(event, now);
  return { scheduler, tell };
}

/** Commands as one line each, without the watches and what is only told. */
export function brief(commands: FakeCommand[]): string[] {
  return commands.filter(({ type }) => type !== "watch" && type !== "idle-death").map((command) => {
    switch (command.type) {
      case "offer":
        return `offer ${command.worker}: ${command.tasks.map(({ id }) => id)}`;
      case "take-back":
        return `take-back ${command.worker}: ${command.seqs}`;
      case "finish":
        return `finish ${command.task.id}`;
      case "ran":
        return `ran ${command.task.id} since ${command.startedAt}`;
      case "settle":
        return `settle ${command.task.id}: ${command.verdict.status}`;
      case "restricted":
        return `${command.file} in processes: ${command.why}`;
      case "warm":
      case "closed":
      case "waiting-cancelled":
      case "renewed":
        return command.type;
      case "broken":
        return `broken: ${command.death.message}`;
      case "close":
        return `close ${command.worker}${command.clean ? " cleanly" : ""}`;
      default:
        return `${command.type} ${command.worker}`;
    }
  });
}

/** When the first watch among the commands is due. */
export function watchedAt(commands: FakeCommand[]): number | undefined {
  for (const command of commands) if (command.type === "watch") return command.at;
  return undefined;
}
