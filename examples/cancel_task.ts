/**
 * The task of `cancel.ts`: ways to find a factor of a number. Each is a loop that never looks up: the pool has to
 * stop it.
 *
 * @module
 */

/** A factor, and after how many steps it was found. */
export interface Found {
  /** Neither 1 nor the number, unless that is prime. */
  factor: bigint;
  /** How many candidates were tried. */
  steps: number;
}

const SEARCHES = {
  /** Fast if there is a small factor; the only one here that can tell that a number is prime. */
  "trial division": (n: bigint): Found => {
    let steps = 1;
    if (n % 2n === 0n) return { factor: 2n, steps };
    for (let d = 3n; d * d <= n; d += 2n, steps++) if (n % d === 0n) return { factor: d, steps };
    return { factor: n, steps };
  },

  /** Fast if two factors are close to each other: n = a² − b². */
  "Fermat": (n: bigint): Found => {
    if (n % 2n === 0n) return { factor: 2n, steps: 1 };
    let a = root(n);
    if (a * a < n) a++;
    for (let steps = 1;; a++, steps++) {
      const b = root(a * a - n);
      if (b * b === a * a - n && a - b > 1n) return { factor: a - b, steps };
      if (a > n) throw new Error("no factor found");
    }
  },

  /** Fast if p − 1 has only small factors, for a factor p. */
  "Pollard's p - 1": (n: bigint): Found => {
    let a = 3n;
    for (let steps = 2; a !== 0n; steps++) {
      a = power(a, BigInt(steps), n);
      const factor = gcd(a - 1n, n);
      if (factor > 1n && factor < n) return { factor, steps };
      if (factor === n) break;
    }
    throw new Error("no factor found");
  },

  /** Takes about the root of the smallest factor; how long exactly is a matter of luck, that is of `c`. */
  "Pollard's rho, c = 1": (n: bigint): Found => rho(n, 1n),
  "Pollard's rho, c = 3": (n: bigint): Found => rho(n, 3n),
};

/** How to search. */
export type Search = keyof typeof SEARCHES;

/** Searches for a factor of a number above 1. */
export function runnable(search: Search, n: bigint): Found {
  return SEARCHES[search](n);
}

function rho(n: bigint, c: bigint): Found {
  let slow = 2n;
  let fast = 2n;
  for (let steps = 1;; steps++) {
    slow = (slow * slow + c) % n;
    fast = (fast * fast + c) % n;
    fast = (fast * fast + c) % n;
    const factor = gcd(slow - fast, n);
    if (factor === n) throw new Error("no factor found");
    if (factor > 1n) return { factor, steps };
  }
}

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
}

function power(base: bigint, exponent: bigint, n: bigint): bigint {
  let result = 1n;
  for (; exponent > 0n; exponent >>= 1n, base = base * base % n) {
    if (exponent & 1n) result = result * base % n;
  }
  return result;
}

/** The integer part of the square root. */
function root(n: bigint): bigint {
  if (n < 2n) return n;
  let x = BigInt(Math.ceil(Math.sqrt(Number(n)))) + 1n;
  for (let y; (y = (x + n / x) >> 1n) < x;) x = y;
  return x;
}
