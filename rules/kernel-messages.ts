import type { KernelLog, KernelMessage, Subject } from '../checks/kernel-log.ts';
import type { Links } from '../checks/link.ts';
import type { Sampled } from '../src/model/check.ts';
import type { CauseFinding, JudgeWindow, Observation } from '../src/model/rule.ts';

/**
 * What the kernel's log said of it within the window, in its own words, as evidence beside a counter. The log is one
 * for all namespaces.
 *
 * @param iface only messages that name this interface
 */
export function kernelSaid(
  log: Sampled<KernelLog> | undefined,
  about: Subject,
  iface?: string,
): readonly Observation[] {
  const messages = messagesAbout(log, about).filter(
    (message) => iface === undefined || message.interface === iface,
  );
  const [first] = messages;
  if (first === undefined) return [];
  const times = messages.length === 1 ? '' : `, and ${messages.length - 1} more like it`;
  return [{ source: 'kernel log', text: `“${first.text}”${times}` }];
}

export function withKernelWords(
  findings: readonly CauseFinding[],
  log: Sampled<KernelLog> | undefined,
  about: Subject,
): readonly CauseFinding[] {
  const said = kernelSaid(log, about);
  return findings.map((finding) => ({ ...finding, because: [...finding.because, ...said] }));
}

/**
 * A finding for each interface here that such a message names, where no counter tells. How many packets it cost is
 * not known.
 */
export function toldByLog(
  log: Sampled<KernelLog> | undefined,
  about: Subject,
  { interfaces }: Links,
  { severalNetns }: JudgeWindow,
  means: string,
): readonly CauseFinding[] {
  const named = new Set(messagesAbout(log, about).flatMap((message) => message.interface ?? []));
  return [...named]
    .filter((name) => interfaces.has(name))
    .map((name) => ({
      kind: 'cause',
      // An interface of another namespace may have the same name.
      confidence: severalNetns ? 'likely' : 'certain',
      packets: 0,
      scope: { interface: name },
      because: kernelSaid(log, about, name),
      means,
      rulesOut: [],
      fixes: [],
      claims: [],
    }));
}

function messagesAbout(
  log: Sampled<KernelLog> | undefined,
  about: Subject,
): readonly KernelMessage[] {
  return (log?.last.messages ?? []).filter((message) => message.about === about);
}
