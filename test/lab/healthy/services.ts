import {
  BATCHES,
  BATCH_SERVICE,
  HTTP_SERVER,
  TCP_SINK,
  TCP_STREAMS,
  UDP_ECHO,
  UDP_QUERIES,
  UNREAD,
} from '../healthy-programs.ts';
import { client, httpRequests, ping, server, TRAFFIC_MS } from '../healthy-traffic.ts';
import { inside, RECEIVER, SENDER } from '../network.ts';
import type { Workload } from '../workload.ts';

/** Of 500 bytes: 1,280 bytes of memory each, so that they fill nine tenths of a default buffer of 212,992. */
const BATCH_DATAGRAMS = 150;
const BATCH_COUNT = 10;

export default [
  {
    name: 'bulk TCP, four streams',
    setUp: (pair) => server(pair, pair.b, 'node', TCP_SINK, 7000),
    async traffic({ a }) {
      const count = await client(a, 'node', TCP_STREAMS, RECEIVER, 7000, TRAFFIC_MS);
      return { count, what: 'bytes received', atLeast: 50_000_000 };
    },
  },
  {
    name: 'many short HTTP requests, some clients go away',
    setUp: (pair) => server(pair, pair.b, 'node', HTTP_SERVER, 8080),
    traffic: (pair) => httpRequests(pair),
  },
  {
    name: 'ping, several at a time, IPv4 and IPv6, as root and not',
    async traffic({ a, b }) {
      const counts = await Promise.all([
        ping(a, `-c 60 -i 0.05 ${RECEIVER}`),
        ping(a, `-c 30 -i 0.1 -s 1400 ${RECEIVER}`),
        // In fragments, which are freed one by one.
        ping(a, `-c 30 -i 0.1 -s 8000 ${RECEIVER}`),
        ping(b, `-c 30 -i 0.1 ${SENDER}`),
        ping(a, '-c 30 -i 0.1 -6 ff02::1%va'),
      ]);
      return {
        count: counts.reduce((sum, replies) => sum + replies, 0),
        what: 'replies to ping',
        // Of IPv6 only once duplicate address detection is through, a second or two after the start.
        atLeast: 150,
      };
    },
  },
  {
    name: 'UDP requests and answers, a socket for each, some do not wait',
    setUp: (pair) => server(pair, pair.b, 'node', UDP_ECHO, 5300),
    async traffic({ a }) {
      const count = await client(a, 'node', UDP_QUERIES, RECEIVER, 5300, TRAFFIC_MS);
      return { count, what: 'answers', atLeast: 300 };
    },
  },
  {
    name: 'a UDP service at its limit: its queue is nearly full again and again, and nothing is lost',
    setUp: (pair) => server(pair, pair.b, 'perl', BATCH_SERVICE, 5400),
    async traffic({ a }) {
      const count = await client(a, 'perl', BATCHES, RECEIVER, 5400, BATCH_COUNT, BATCH_DATAGRAMS);
      return { count, what: 'datagrams received', atLeast: BATCH_COUNT * BATCH_DATAGRAMS };
    },
  },
  {
    name: 'an idle host: programs start and end, nothing else',
    async traffic() {
      const begin = Date.now();
      await new Promise((resolve) => {
        setTimeout(resolve, TRAFFIC_MS);
      });
      return { count: Date.now() - begin, what: 'milliseconds', atLeast: TRAFFIC_MS - 50 };
    },
  },
  {
    name: 'a capture runs and ends, programs end without reading all their data',
    async traffic({ b }) {
      const tcpdump = inside(b, 'timeout 2 tcpdump -qni any -w /dev/null').catch(() => '');
      const count = await client(b, 'perl', UNREAD, 6000, 100);
      await tcpdump;
      return { count, what: 'sockets closed', atLeast: 100 };
    },
  },
] satisfies readonly Workload[];
