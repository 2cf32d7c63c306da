import type { RedisOptions } from 'ioredis';

/** A record, so that the compiler misses one that a new release of ioredis adds. */
const REDIS_OPTIONS = {
  Connector: true,
  autoPipeliningIgnoredCommands: true,
  autoResendUnfulfilledCommands: true,
  autoResubscribe: true,
  blockingTimeout: true,
  blockingTimeoutGrace: true,
  clientInfoTag: true,
  commandQueue: true,
  commandTimeout: true,
  connectTimeout: true,
  connectionName: true,
  db: true,
  disableClientInfo: true,
  disconnectTimeout: true,
  enableAutoPipelining: true,
  enableOfflineQueue: true,
  enableReadyCheck: true,
  enableTLSForSentinelMode: true,
  failoverDetector: true,
  family: true,
  host: true,
  keepAlive: true,
  keyPrefix: true,
  lazyConnect: true,
  maxLoadingRetryTime: true,
  maxRetriesPerRequest: true,
  monitor: true,
  name: true,
  natMap: true,
  noDelay: true,
  offlineQueue: true,
  password: true,
  path: true,
  port: true,
  preferredSlaves: true,
  readOnly: true,
  reconnectOnError: true,
  retryStrategy: true,
  role: true,
  scripts: true,
  sentinelCommandTimeout: true,
  sentinelMaxConnections: true,
  sentinelPassword: true,
  sentinelReconnectStrategy: true,
  sentinelRetryStrategy: true,
  sentinelTLS: true,
  sentinelUsername: true,
  sentinels: true,
  showFriendlyErrorStack: true,
  socketTimeout: true,
  stringNumbers: true,
  tls: true,
  updateSentinels: true,
  username: true,
} satisfies Record<keyof RedisOptions, true>;

/** Names of the options of an ioredis client, without `errorStack` and the like that are not documented. */
export const REDIS_OPTION_NAMES: readonly string[] = Object.keys(REDIS_OPTIONS);

/** What is said of names that other clients, or other options of ours, use. */
export const FOREIGN_NAMES: Readonly<Record<string, string>> = {
  url: "give the URL itself: redis: 'redis://…'",
  uri: "give the URL itself: redis: 'redis://…'",
  connectionString: "give the URL itself: redis: 'redis://…'",
  connection: 'give what is in it as the option itself: redis: { host, port, … }, or redis: client',
  client: 'give the client as the option itself: redis: client',
  socket: "it is node-redis' way to say it; ioredis takes { host, port, tls } directly",
  hostname: "did you mean 'host'?",
  database: "did you mean 'db'?",
  user: "did you mean 'username'?",
  pass: "did you mean 'password'?",
  auth: "did you mean 'password'?",
  ssl: "did you mean 'tls'?",
  nodes: 'a Cluster is not supported yet: connect to one server, or to a primary through Sentinel',
  redisOptions: 'a Cluster is not supported yet: connect to one server, or to a primary through Sentinel',
};

/** Names of what `tls` may hold: options of `tls.connect()` and of the socket below it. */
export const TLS_OPTION_NAMES: readonly string[] = `
  ALPNCallback ALPNProtocols SNICallback allowHalfOpen allowPartialTrustChain autoSelectFamily
  autoSelectFamilyAttemptTimeout ca cert checkServerIdentity ciphers clientCertEngine crl dhparam
  ecdhCurve enableTrace family fd hints highWaterMark honorCipherOrder host keepAlive
  keepAliveInitialDelay key localAddress localPort lookup maxVersion minDHSize minVersion noDelay onread
  passphrase path pfx port privateKeyEngine privateKeyIdentifier profile pskCallback readable
  rejectUnauthorized requestCert requestOCSP secureContext secureOptions secureProtocol servername session
  sessionIdContext sessionTimeout sigalgs signal socket ticketKeys timeout writable`
  .trim()
  .split(/\s+/);

/** Names of what an item of `sentinels` may hold. */
export const SENTINEL_NAMES: readonly string[] = ['host', 'port', 'family'];
