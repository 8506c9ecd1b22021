export { openLiveHost } from './live.ts';
export { recordHost } from './record.ts';
export { openReplay, type ReplayHost } from './replay.ts';
