// The worker: answers {id, call, words} with {id, result} or {id, error}, one after the other.
import { load, run } from "./runner.js";

const calls = { load, run };
let queue = Promise.resolve();

self.onmessage = ({ data: { id, call, words } }) => {
  queue = queue.then(async () => {
    try {
      self.postMessage({ id, result: await calls[call](...words) });
    } catch (error) {
      self.postMessage({ id, error: error.message });
    }
  });
};
self.postMessage({ id: 0 }); // ready
