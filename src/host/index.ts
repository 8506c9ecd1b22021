export { openLiveHost, type LiveOptions } from './live.ts';
