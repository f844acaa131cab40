/** What is measured beside ours: from npm, always these versions. */
export const VERSIONS = {
  "piscina": "5.3.2",
  "poolifier": "5.3.2",
  "poolifier-web-worker": "0.5.15",
  "tinypool": "2.2.0",
  "workerpool": "10.0.3",
};
