/** A certificate for this machine, signed by itself or by another, good for a day. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @returns the files, and what clients check the server by */
export async function writeCertificate(
  folder: string,
  signer?: { cert: string; key: string },
): Promise<{ cert: string; key: string; ca: Buffer }> {
  const [key, cert] = ['key', 'cert'].map((name) => join(folder, `${signer ? 'signed-' : ''}${name}.pem`)) as [
    string,
    string,
  ];
  const of = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
  ];
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const by = signer ? ['-CA', signer.cert, '-CAkey', signer.key] : [];
  execFileSync('openssl', ['req', '-x509', ...of, ...names, ...by, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key, ca: await readFile(cert) };
}
