/**
 * Makes an error that tells no line of code: those of the pool say nothing about the task, and are all that there would
 * be. Deno prints them for an uncaught error even where the `stack` has none, if they were noted (seen up to 2.9.6).
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error;
  // Fails where a program has frozen it.
  const noted = !Reflect.set(Error, "stackTraceLimit", 0);
  try {
    const error = make();
    const stack = `${error.name}: ${error.message}`;
    // Where there is one, to set it is a quarter quicker than to define it.
    if (Object.hasOwn(error, "stack")) error.stack = stack;
    else Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true });
    return error;
  } finally {
    if (!noted) Error.stackTraceLimit = stackTraceLimit;
  }
}
