/** The name of a kind of permission. */
export type PermissionName = "read" | "write" | "net" | "env" | "run" | "ffi" | "sys" | "import";

/** All kinds of permissions. */
export const PERMISSIONS: readonly PermissionName[] = [
  "read",
  "write",
  "net",
  "env",
  "run",
  "ffi",
  "sys",
  "import",
];

/**
 * What is granted of a kind: all of it, nothing, as much as the program itself has, or what is listed (paths, hosts,
 * variables, programs).
 */
export type Permission = boolean | "inherit" | readonly (string | URL)[];

/** What is granted of each kind; nothing of those that are not named. */
export type PermissionSet = { readonly [Name in PermissionName]?: Permission | undefined };

/** What tasks may do: nothing, what the program itself may, or what is named. Never more than the program itself. */
export type Permissions = "none" | "inherit" | PermissionSet;
