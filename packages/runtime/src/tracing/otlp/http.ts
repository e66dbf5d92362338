import http from 'node:http';
import https from 'node:https';
import type { ExportSettings } from '../settings.ts';
import type { Delivery } from './exporter.ts';

/** Brings spans to a collector by OTLP/HTTP: a POST with a protobuf body over one connection that is kept. */
export function httpDelivery({ endpoint, headers, timeoutMs }: ExportSettings): Delivery {
  const url = new URL(endpoint);
  const { request, Agent } = url.protocol === 'https:' ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    send: (body) =>
      new Promise((resolve, reject) => {
        const post = request(
          url,
          {
            method: 'POST',
            agent,
            timeout: timeoutMs,
            headers: { ...headers, 'content-type': 'application/x-protobuf', 'content-length': body.length },
          },
          (response) => {
            response.resume();
            const { statusCode = 0 } = response;
            response.once('end', () => (statusCode < 300 ? resolve() : reject(new Error(`the collector answered ${statusCode}`))));
            response.once('error', reject);
          },
        );
        post.once('timeout', () => post.destroy(new Error(`the collector did not answer within ${timeoutMs} ms`)));
        post.once('error', reject);
        post.end(body);
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}
