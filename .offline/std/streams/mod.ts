export * from "./text_line_stream.ts";
