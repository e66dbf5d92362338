import { tcpBytes } from '../../testing/stage.ts';
import { responsePlanes } from '../index.ts';
import { responsePlaneContract } from '../response-plane.contract.ts';

responsePlaneContract({ plane: responsePlanes.tcp, bytes: tcpBytes, skip: [] });
