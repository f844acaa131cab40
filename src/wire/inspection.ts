/** By which id a look at the callbacks of the module is known: no task has one below 0. */
export function inspectionOf(module: number): number {
  return -1 - module;
}
