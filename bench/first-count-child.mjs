// Starts the capture of the module that is its argument, makes a drop (a datagram to a port of its own
// loopback that nobody listens on), and prints the milliseconds until that was counted.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const socket = createSocket('udp4');
socket.bind(0, '127.0.0.1');
await once(socket, 'listening');
const { startBpfCapture } = await import(process.argv[2]);

const startedAt = performance.now();
const started = await startBpfCapture();
if (started.status !== 'ok') throw new Error(started.reason);
// The kernel drops it, and counts the drop, before the call comes back.
await new Promise((resolve) => socket.send('x', 9, '127.0.0.1', resolve));
const milliseconds = performance.now() - startedAt;

const stopped = await started.value.stop();
if (stopped.status !== 'ok') throw new Error(stopped.reason);
const counted = stopped.value.drops.some(({ details }) =>
  details?.topFlows.some(
    ({ ports }) => ports?.source === socket.address().port && ports.destination === 9,
  ),
);
socket.close();
if (!counted) throw new Error('the drop was not counted');
console.log(milliseconds.toFixed(1));
