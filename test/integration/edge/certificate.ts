/** A certificate for this machine, signed by itself, good for a day. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @returns the files, and what clients check the server by */
export async function writeCertificate(folder: string): Promise<{ cert: string; key: string; ca: Buffer }> {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
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
  execFileSync('openssl', ['req', '-x509', ...of, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key, ca: await readFile(cert) };
}
