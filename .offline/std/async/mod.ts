export * from "./deadline.ts";
export * from "./delay.ts";
