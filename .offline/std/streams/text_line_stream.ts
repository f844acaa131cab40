import { TextLineStream as Std } from "npm:deno-std@1.4.0/streams/text_line_stream.js";

/** Splits text into lines, ended by LF or CRLF. */
export const TextLineStream: new () => TransformStream<string, string> = Std;
