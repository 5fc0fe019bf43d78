/** A wire between device and server on which things go wrong. */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** What becomes of the bytes of an answer, `at` being where they begin in it. */
export type Fault = (bytes: Buffer, at: number) => Buffer | 'cut' | undefined;

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
    let at = 0;
    device.on('data', (bytes) => behind.write(bytes)).on('close', end);
    behind.on('close', end).on('data', (bytes) => {
      const passed = fault ? fault(bytes, at) : bytes;
      at += bytes.length;
      if (passed === 'cut') end();
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
