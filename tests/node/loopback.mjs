// Refuses every connection but those to 127.0.0.1, from its import on, and tells what was tried.
import net from "node:net";

const LOOPBACK = "127.0.0.1";

export const reached = new Set();
export const refused = new Set();

// Everything that connects does it here, fetch included, and before a name is looked up.
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function guarded(...given) {
  const [{ host, port, path }] = Array.isArray(given[0]) ? given[0] : given;
  const asked = path ?? `${host}:${port}`;
  if (host !== LOOPBACK || path !== undefined) {
    refused.add(asked);
    throw new Error(`${asked} is not ${LOOPBACK}`);
  }
  reached.add(asked);
  return connect.apply(this, given);
};
