import type { CallName, ReplyOf, RequestOf } from './calls.ts';
import type { StudioError, StudioEvent } from './events.ts';

export type Listener = (event: StudioEvent) => void;

/** What a transport passes on, whatever it is made of. */
export type Answered<Name extends CallName = CallName> =
  { ok: true; reply: ReplyOf<Name> } | { ok: false; error: StudioError };

/** How the studio looks from where it is shown, over any transport. */
export interface StudioClient {
  /** @throws StudioCallError */
  call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ReplyOf<Name>>;
  /** @returns how to stop listening */
  subscribe(listener: Listener): () => void;
}

/** A call that was answered by an error: its message is the sentence for the user. */
export class StudioCallError extends Error {
  readonly code: string;

  constructor({ code, message }: StudioError) {
    super(message);
    this.code = code;
  }
}

/** The reply in what was answered. @throws StudioCallError */
export function replyIn<Name extends CallName>(answered: Answered): ReplyOf<Name> {
  if (!answered.ok) throw new StudioCallError(answered.error);
  return answered.reply as ReplyOf<Name>;
}
