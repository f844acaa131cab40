/**
 * What the tables of faults are tried in. Cells have tests of their own in each run; these tables take them only whole
 * (`deno task test:all`): beside other test files a hang in a cell has been told 0.3 to 0.8 s late, for once in hundreds.
 */
export const ISOLATIONS: readonly ("thread" | "process" | "cell")[] = Deno.env.get("ALL") === "1"
  ? ["thread", "process", "cell"]
  : ["thread", "process"];
