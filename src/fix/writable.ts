import { sysctlPath } from '../model/sysctl-key.ts';

/** Longest key whydrop writes: an interface name has at most 15 bytes, a setting some 40. */
const MAX_KEY_CHARACTERS = 200;

/**
 * Whether whydrop may write this key. Packet loss is cured below `net.`, and by the memory the kernel
 * keeps free for interrupts. Others (`kernel.modprobe`, `kernel.core_pattern`) run programs as root:
 * neither a rule nor a tampered journal gets there.
 */
export function isWritableKey(key: string): boolean {
  if (key.length > MAX_KEY_CHARACTERS || sysctlPath(key) === undefined) return false;
  return key.startsWith('net.') || key === 'vm.min_free_kbytes';
}

/** Whether a text can be a value: one line of printable ASCII, short. */
export function isWritableValue(value: string): boolean {
  return /^[\t\x20-\x7e]{1,1000}$/.test(value) && value.trim() !== '';
}
