import { describe } from 'vitest';
import { missingOpenssl } from '../../../testing/certificates.ts';
import { bytesOver, plainText } from '../../testing/stage.ts';
import { mutualTls } from '../../testing/tls.ts';
import { inputContract } from '../input.contract.ts';
import { responsePlaneContract } from '../response-plane.contract.ts';
import { tcpResponses } from './index.ts';

const reason = missingOpenssl();
const tls = reason === undefined ? await mutualTls() : plainText;

describe.skipIf(reason !== undefined)(`over TLS (${reason ?? 'both sides show certificates'})`, () => {
  const plane = tcpResponses({ tls });
  responsePlaneContract({ plane, bytes: bytesOver(tls), skip: [] });
  inputContract({ plane, bytes: bytesOver(tls), skip: [] });
});
