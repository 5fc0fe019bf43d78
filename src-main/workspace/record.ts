import { crc32 } from 'node:zlib';

/*
 * Records of JSON carry a checksum of themselves: a digit that a failing disk has changed is still JSON. It is of the
 * values and not of the spelling, so a file may be reformatted; whoever changes a value by hand takes the checksum out.
 */

/** The record with its checksum, to be written as JSON. */
export function sealed<T extends object>(record: T): T & { checksum: string } {
  return { ...record, checksum: checksumOf(record) };
}

/**
 * What JSON text of a sealed record says, without its checksum; a record without one is taken as it is.
 * @throws SyntaxError where it is no JSON, RangeError where it is not what was written
 */
export function parseSealed(text: string): unknown {
  return unsealed(JSON.parse(text));
}

/** As `parseSealed`, of a value that has been parsed. */
export function unsealed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('checksum' in value)) return value;
  const { checksum, ...record } = value;
  if (checksum !== checksumOf(record)) throw new RangeError('The checksum does not fit what it is of.');
  return record;
}

function checksumOf(record: object): string {
  return crc32(JSON.stringify(record)).toString(16).padStart(8, '0');
}
