/**
 * A thread that ends while it compiles WebAssembly from a stream takes the whole process along, however it ends
 * (`Check failed: validate_functions_job_handle_`, seen up to Deno 2.9.6). Compiling what has come completely does not.
 *
 * @module
 */

type Source = Response | PromiseLike<Response>;

const { compile, instantiate } = WebAssembly;

/** Has the functions that compile from a stream wait for its end first. */
export function replaceStreaming(): void {
  // The last parameters are compile options, which the types lack.
  replace("compileStreaming", async (source: Source, ...options: []) => {
    return await compile(await bytesOf(source, "compileStreaming"), ...options);
  });
  replace("instantiateStreaming", async (source: Source, ...rest: [WebAssembly.Imports?]) => {
    return await instantiate(await bytesOf(source, "instantiateStreaming"), ...rest);
  });
}

function replace<Name extends "compileStreaming" | "instantiateStreaming">(
  name: Name,
  value: typeof WebAssembly[Name],
): void {
  const original = Object.getOwnPropertyDescriptor(WebAssembly, name);
  if (original === undefined) return;
  Object.defineProperty(value, "name", { value: name, configurable: true });
  Object.defineProperty(WebAssembly, name, { ...original, value });
}

/** Refuses what Deno's own functions refuse. */
async function bytesOf(source: Source, name: string): Promise<ArrayBuffer> {
  const response = await source;
  if (!(response instanceof Response)) {
    throw new TypeError(
      `Failed to execute 'WebAssembly.${name}': Argument 1 can not be converted to Response`,
    );
  }
  const { url, headers, ok, status } = response;
  // What was read from a file has none.
  if (!url.startsWith("file://") && headers.get("content-type")?.toLowerCase() !== "application/wasm") {
    throw new TypeError("Invalid WebAssembly content type");
  }
  if (!ok) throw new TypeError(`Failed to receive WebAssembly content: HTTP status code ${status}`);
  return await response.arrayBuffer();
}
