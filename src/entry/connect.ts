import { isBridgeOfUse } from "../runtime/bridge.ts";
import { refuseUnavailable } from "../runtime/unavailable.ts";
import { chooseIsolation, hasRuntime, mayStartProcesses, refuseCopy } from "../runtime/isolation.ts";
import { mainModule } from "../runtime/host.ts";
import { childPermissions } from "../runtime/permissions.ts";
import { DispatcherClient } from "./dispatcher_client.ts";
import type { Connect } from "./pool_life.ts";
import { type PoolOptions, sizesOf } from "./read_options.ts";

/**
 * Starts the dispatcher of a pool on this machine.
 *
 * @throws {Deno.errors.NotCapable} If `permissions` asks for what this process may not do itself: better said now than
 * at the start.
 * @throws {Error} If this program was started in place of a worker.
 * @throws {TypeError} If it needs processes, and this program was compiled, by `deno compile` say.
 */
export function connectDispatcher(options: PoolOptions): Connect {
  refuseUnavailable(options);
  refuseCopy();
  if (options.isolation === "process" && !hasRuntime()) {
    throw new TypeError(
      'Cannot create a pool: isolation: "process" and permissions need a runtime that can be started, and a compiled program has none',
    );
  }
  if (options.permissions !== undefined) childPermissions(options.permissions);
  let takesOver = false;
  return (events) => {
    const isolation = chooseIsolation(options.isolation, options.name, options.memoryLimit);
    const cell = options.isolation === "cell";
    const processes = isolation === "process" || (options.isolation === "auto" && mayStartProcesses());
    // An initializer is for the workers of the pool, and a pool that keeps no workers is not to have one that waits.
    const bridge = options.bridge && isolation === "thread" && !cell && options.initializer === undefined &&
      options.minSize + options.spares > 0 && isBridgeOfUse();
    const client = new DispatcherClient(
      {
        name: options.name,
        ...sizesOf(options),
        idleTimeout: options.idleTimeout,
        spares: options.spares,
        maxSpares: options.maxSpares,
        isolation,
        cell,
        takesOver,
        bridge,
        processes,
        maxTasksPerWorker: options.maxTasksPerWorker,
        setup: {
          initializer: options.initializer,
          nice: options.nice,
          memoryLimit: options.memoryLimit,
          maxMemoryBeforeRecycle: options.maxMemoryBeforeRecycle,
          output: options.output,
          env: options.env,
          argv: options.argv,
        },
        loadTimeout: options.loadTimeout,
        disposeTimeout: options.disposeTimeout,
        killGrace: options.killGrace,
        cancelGrace: options.cancelGrace,
        timeoutGrace: options.timeoutGrace,
        permissions: processes || cell ? childPermissions(options.permissions) : undefined,
        cwd: options.cwd,
        v8Flags: options.v8Flags,
        main: mainModule() ?? "",
      },
      events,
    );
    // Only a pool that was warm has its dispatcher replaced.
    takesOver = true;
    return client;
  };
}
