/** A message that does not follow the protocol: one sentence for whoever sent it. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
