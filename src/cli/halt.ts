/** When to stop before the inputs end. */
export interface Halt {
  /** `"soon"`: what runs is finished; `"now"`: it is stopped. */
  readonly when: "soon" | "now";
  /** What is counted. */
  readonly of: "fail" | "success" | "done";
  readonly count: number;
  /** The count is a share of all that are done, in percent. */
  readonly percent: boolean;
}

/** A share is not looked at before so many are counted. */
const FEWEST = 3;

/** Reads `soon,fail=3` or `now,fail=10%`; undefined if it is neither. */
export function readHalt(text: string): Halt | undefined {
  const match = /^(soon|now),(fail|success|done)=(\d+)(%?)$/.exec(text);
  if (match === null) return undefined;
  const [, when, of, digits, percent] = match;
  const count = Number(digits);
  if (count < 1 || (percent === "%" && count > 100)) return undefined;
  return { when: when as Halt["when"], of: of as Halt["of"], count, percent: percent === "%" };
}

/** Whether it is time to. */
export function isTime({ of, count, percent }: Halt, done: number, failed: number): boolean {
  const counted = of === "fail" ? failed : of === "success" ? done - failed : done;
  return percent ? counted >= FEWEST && 100 * counted >= count * done : counted >= count;
}
