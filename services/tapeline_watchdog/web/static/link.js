// The stream of server-sent events: followed for as long as the page is open, and known to be lost when it is.

const SILENCE_MS = 5000; // there is a beat each second
const AGAIN_MS = 2000;

/**
 * Follow the stream at `path`. `onEvent` takes type and document, `onState` "live" or "lost". A browser asks again by
 * itself where a connection broke; where the answer was an error, or nothing comes any more, it is asked anew.
 */
export function follow(path, types, onEvent, onState) {
  let source = null;
  let heardMs = 0;
  let isLive = null; // until something is heard, or nothing

  function tell(live) {
    if (live !== isLive) onState(live ? "live" : "lost");
    isLive = live;
  }

  function open() {
    if (source !== null) source.close();
    source = new EventSource(path);
    heardMs = Date.now();
    source.onerror = () => tell(false);
    for (const type of types) {
      source.addEventListener(type, (event) => {
        heardMs = Date.now();
        onEvent(type, JSON.parse(event.data));
        tell(true);
      });
    }
  }

  setInterval(() => {
    const silentMs = Date.now() - heardMs;
    if (silentMs > SILENCE_MS) tell(false);
    if (silentMs > SILENCE_MS || (source.readyState === EventSource.CLOSED && silentMs > AGAIN_MS)) open();
  }, 1000);
  open();
}
