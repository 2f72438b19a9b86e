// OSC: messages of other programs as sources of live playing, and what is played as messages to other programs.
import * as api from "./api.js";
import * as live from "./live.js";
import { state } from "./state.js";

const INTERVAL = 33; // ms between messages

let listening = false;

// Listens until the page is left; calls `onEnd` with an error if the server ends it.
export async function listen(onEnd) {
  if (listening) return;
  listening = true;
  try {
    for await (const values of api.oscEvents()) {
      for (const [address, value] of Object.entries(values)) live.feed(`osc ${address}`, Math.max(0, Math.min(1, value)));
    }
  } catch (error) {
    onEnd(error);
  }
  listening = false;
}

// A function for each frame that sends what is played: the sources, the place, and the recipe's numbers.
export function sender(onError) {
  let [last, busy] = [0, false];
  return async (place) => {
    if (busy || performance.now() - last < INTERVAL) return;
    [last, busy] = [performance.now(), true];
    const { seed, truncation = 1, noise, edits = {} } = state.recipe;
    const values = { place, truncation };
    for (const band of live.BANDS) values[band] = live.value(band);
    if (typeof seed === "number") values.seed = seed;
    if (noise != null) values.noise = noise;
    for (const [name, edit] of Object.entries(edits).slice(0, 40)) values[`edit/${name}`.slice(0, 64)] = edit.strength ?? edit;
    try {
      await api.sendOsc(values);
    } catch (error) {
      onError(error);
      last = Infinity; // once is enough
    }
    busy = false;
  };
}
