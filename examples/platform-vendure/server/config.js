'use strict';
/* What a shop's own configuration brings: its database, how buyers pay, how secrets are made. No secret here is one. */
const { createHash } = require('node:crypto');
const { LanguageCode, PaymentMethodHandler } = require('@vendure/core');

const described = value => [{ languageCode: LanguageCode.en, value }];

/** Settled at once, as most providers are; so is a refund. */
const invoice = new PaymentMethodHandler({
    code: 'invoice',
    description: described('Paid at once'),
    args: {},
    createPayment: (ctx, order, amount) => ({ amount, state: 'Settled', transactionId: `paid-${order.code}` }),
    settlePayment: () => ({ success: true }),
    createRefund: (ctx, input, amount) => ({ state: 'Settled', transactionId: `refund-${input.paymentId}-${amount}` }),
});

/** Authorized, and settled once somebody says so; so is a refund. */
const onDelivery = new PaymentMethodHandler({
    code: 'on-delivery',
    description: described('Paid on delivery'),
    args: {},
    createPayment: (ctx, order, amount) => ({ amount, state: 'Authorized', transactionId: `held-${order.code}` }),
    settlePayment: () => ({ success: true }),
    createRefund: () => ({ state: 'Pending' }),
});

/** The default, bcrypt, takes a fifth of a second for each login. */
const quickHashes = {
    hash: async plain => createHash('sha256').update(plain).digest('hex'),
    check: async (plain, hash) => createHash('sha256').update(plain).digest('hex') === hash,
};

/** Standard output is for whoever started this. */
const logger = { error: (...words) => console.error(...words), warn() {}, info() {}, verbose() {}, debug() {} };

module.exports = {
    config: {
        logger,
        apiOptions: { hostname: '127.0.0.1', port: 0 },
        authOptions: {
            tokenMethod: ['bearer', 'cookie'],
            superadminCredentials: {
                identifier: process.env.SUPERADMIN_USERNAME,
                password: process.env.SUPERADMIN_PASSWORD,
            },
            passwordHashingStrategy: quickHashes,
        },
        dbConnectionOptions: { type: 'sqljs', synchronize: true, logging: false },
        paymentOptions: { paymentMethodHandlers: [invoice, onDelivery] },
    },
};
