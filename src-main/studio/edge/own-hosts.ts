/** Under what a server of this machine is found. */
import { X509Certificate } from 'node:crypto';
import { networkInterfaces } from 'node:os';

/** Where it is found from this machine, whatever it listens to. */
export const LOOPBACK = '127.0.0.1';

/**
 * Names and addresses, the one for this machine first. With a certificate only those that it is for: under others clients
 * would refuse the server.
 * @param network whether other machines may use it
 * @param certificate PEM
 */
export function ownHosts(network: boolean, certificate: Uint8Array | null): string[] {
  if (!certificate) return [LOOPBACK, ...(network ? ownAddresses() : [])];
  const read = new X509Certificate(certificate);
  const isFor = (host: string) => (/^[\d.]+$/.test(host) ? read.checkIP(host) : read.checkHost(host)) !== undefined;
  const here = [LOOPBACK, 'localhost'].filter(isFor).slice(0, 1);
  const names = [...(read.subjectAltName ?? '').matchAll(/DNS:([\w.-]+)/g)].map(([, name]) => name!);
  const there = network ? [...names.filter((name) => name !== 'localhost'), ...ownAddresses().filter(isFor)] : [];
  const hosts = [...here, ...there];
  return hosts.length > 0 ? hosts : [LOOPBACK];
}

/** Of this machine in its networks, IPv4. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address),
  );
}
