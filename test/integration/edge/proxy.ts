/** A wire between device and server on which things go wrong. */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** What becomes of bytes that are answered: others, the last ones before the connection is cut, or themselves. */
export type Fault = (bytes: Buffer) => Buffer | { last: Buffer } | undefined;

export interface Proxy {
  port: number;
  /** Where connections go to from now on. */
  target: number;
  /** For connections that are made from now on, by their number from 0. */
  faultOf: (connection: number) => Fault | undefined;
  connections: number;
  close(): Promise<void>;
}

export async function startProxy(target: number): Promise<Proxy> {
  const open = new Set<Socket>();
  const server = createServer((device) => {
    const fault = proxy.faultOf(proxy.connections++);
    const behind = connect(proxy.target, '127.0.0.1');
    for (const socket of [device, behind]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket)).on('error', () => undefined);
    }
    const end = () => {
      device.destroy();
      behind.destroy();
    };
    device.on('data', (bytes) => behind.write(bytes)).on('close', end);
    behind.on('close', end).on('data', (bytes) => {
      const passed = fault?.(bytes);
      if (passed && 'last' in passed) device.end(passed.last, end);
      else device.write(passed ?? bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    target,
    faultOf: () => undefined,
    connections: 0,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
