/** Where onnxruntime runs models for this process: on threads of it, or in processes beside it. */
export type SessionPlace = 'thread' | 'process';

let place: SessionPlace = 'thread';

/** Where sessions that are opened from now on run. */
export function runSessionsIn(other: SessionPlace): void {
  place = other;
}

export function sessionPlace(): SessionPlace {
  return place;
}
