import type { NextFunction, Request, Response } from 'express';

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/** Headers for every answer. */
export function setSecurityHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.set(HEADERS);
  next();
}

/** Other sites' pages may not write, though the browser could reach us. */
export function refuseCrossSite(request: Request, response: Response, next: NextFunction): void {
  const site = request.get('Sec-Fetch-Site');
  const isForeign = site !== undefined && site !== 'same-origin' && site !== 'none';
  if (isForeign && request.method !== 'GET' && request.method !== 'HEAD') {
    response.status(403).json({ problems: ['writes from other sites are refused'] });
    return;
  }
  next();
}
