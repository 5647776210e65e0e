// Runs Perfetto's trace_processor, as the user interface does: its WebAssembly with
// the worker that wraps it, both from the folder in the first argument. Bytes of
// requests come on stdin, bytes of answers go to stdout.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const dir = process.argv[2];

// What the worker asks of a browser: its own files, read at once.
class XMLHttpRequest {
  open(_, url) { this.file = path.join(dir, path.basename(url)); }
  send() {
    const data = fs.readFileSync(this.file);
    this.response = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  }
}

const say = (...words) => process.stderr.write(words.join(" ") + "\n");
const worker = { XMLHttpRequest, TextDecoder, TextEncoder, URL, performance, crypto: globalThis.crypto,
  setTimeout, clearTimeout, queueMicrotask, console: { log: say, warn: say, error: say },
  location: { href: "http://local/engine_bundle.js" }, importScripts() {}, WorkerGlobalScope: function () {} };
worker.self = worker;
vm.createContext(worker);
vm.runInContext(fs.readFileSync(path.join(dir, "engine_bundle.js"), "utf8"), worker);

const Bytes = vm.runInContext("Uint8Array", worker); // the worker's own class
const port = { postMessage(data) { fs.writeSync(1, data); } };
worker.onmessage({ data: port });
setTimeout(() => { // once the worker has started
  process.stdin.on("data", (data) => port.onmessage({ data: new Bytes(data) }));
}, 0);
