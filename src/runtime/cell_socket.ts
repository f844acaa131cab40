/** Where the socket of a cell is, in a folder of its own. */
export function socketIn(folder: string): string {
  return `${folder}/socket`;
}
