import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createServer } from 'node:tls';

/** Self-signed, for localhost and 127.0.0.1; of no use anywhere else. */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUPU91WYlM2FgsD+VuI9XFGydbg60wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDE2MTQxMVoYDzIxMjYxMTA2
MTYxNDExWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT/+UIOubMVX0U547spuwomgV8CyAxm0e6ekqJYSwh0UF8GCKuRN57S
Ola0WTqaRIJ/Q5JixGKcfuU1s3iPJdZVo28wbTAdBgNVHQ4EFgQUp+FhvHBx941D
lGlDlzOcQzySFykwHwYDVR0jBBgwFoAUp+FhvHBx941DlGlDlzOcQzySFykwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAOJP2v8koj3vudcHfwIwyghhe9N+BkQeCDth/siBJV7PAiEA
pcrGOvKMR9rnz+r4J5CjVuTZH+PUocMBZfYQ+oHK8oI=
-----END CERTIFICATE-----
`;

const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcgPzjinmfNXcFuoP
k5hGBedfa3GPmDGugllwEQCfs0GhRANCAAT/+UIOubMVX0U547spuwomgV8CyAxm
0e6ekqJYSwh0UF8GCKuRN57SOla0WTqaRIJ/Q5JixGKcfuU1s3iPJdZV
-----END PRIVATE KEY-----
`;

/** A port with TLS in front of a server without. */
export interface TlsProxy {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startTlsProxy(target: number): Promise<TlsProxy> {
  const sockets = new Set<Socket>();
  const server = createServer({ cert: CERTIFICATE, key: KEY }, (client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.pipe(upstream).pipe(client);
  });
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  // A client that does not speak TLS, or does not trust the certificate.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
