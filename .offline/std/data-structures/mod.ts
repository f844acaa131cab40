import { BinaryHeap as std } from "npm:deno-std@1.4.0/data_structures/binary_heap.js";

/** A priority queue: the first of the order is on top. */
export interface BinaryHeap<T> {
  /** How many values there are. */
  readonly length: number;
  /** The first value. */
  peek(): T | undefined;
  /** Removes and returns the first value. */
  pop(): T | undefined;
  /** Adds values and returns how many there are. */
  push(...values: T[]): number;
  /** All values, in no order. */
  toArray(): T[];
}

/** A priority queue: the first of the order is on top. */
export const BinaryHeap: new <T>(compare?: (a: T, b: T) => number) => BinaryHeap<T> = std;
