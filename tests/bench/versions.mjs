/** What is measured beside ours: from npm, always these versions. */
export const VERSIONS = {
  "comlink": "4.4.2",
  "piscina": "5.3.2",
  "poolifier": "5.3.2",
  "poolifier-web-worker": "0.5.15",
  "tinypool": "2.2.0",
  "workerpool": "10.0.3",
};

/** On what, beside Deno: also from npm. */
export const RUNTIMES = {
  "node": "24.21.0",
  "bun": "1.4.5",
};
