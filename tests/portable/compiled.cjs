// What compilers make of `export default` and `export const`.
"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.twice = void 0;
const square = (n) => n * n;
exports.default = square;
const twice = (n) => 2 * n;
exports.twice = twice;
