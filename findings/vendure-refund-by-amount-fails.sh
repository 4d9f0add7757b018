#!/usr/bin/env bash
# A good guess: money is given back in Vendure by `refundOrder` with the payment and the `amount`: its schema calls that
# "the preferred way to specify the refund amount" since 2.2.0, and marks `lines`, `shipping` and `adjustment` as deprecated.
#
# What happens (npm @vendure/core 3.7.3, sql.js 1.14.2): with the amount alone the mutation ends in an error of the database,
# "NOT NULL constraint failed: refund.shipping", although every deprecated field may be left out by the schema; the columns
# that they go to have no default and take no null. With `lines: []`, `shipping: 0` and `adjustment: 0` it works. The payment
# method's own `createRefund` runs before the row is written, so a provider has given the money back by then and the
# transaction that should have recorded it is rolled back.
#
# Why it matters to people who sync orders: a program that refunds for an ERP is told that nothing happened, tries again, and
# the buyer gets the money twice, while Vendure shows no refund at all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @vendure/core@3.7.3 sql.js@1.14.2 >/dev/null
cat > try.js <<'JS'
const assert = require('node:assert');
const { bootstrap, LanguageCode, PaymentMethodHandler, Populator, VENDURE_VERSION } = require('@vendure/core');

let givenBack = 0;
const paid = new PaymentMethodHandler({
    code: 'paid',
    description: [{ languageCode: LanguageCode.en, value: 'Paid at once' }],
    args: {},
    createPayment: (ctx, order, amount) => ({ amount, state: 'Settled' }),
    settlePayment: () => ({ success: true }),
    createRefund: (ctx, input, amount) => {
        givenBack += amount; // a provider's API is called here
        return { state: 'Settled' };
    },
});
const quiet = { error() {}, warn() {}, info() {}, verbose() {}, debug() {} };

async function main() {
    const app = await bootstrap({
        logger: quiet,
        apiOptions: { hostname: '127.0.0.1', port: 0 },
        authOptions: { tokenMethod: 'bearer' },
        dbConnectionOptions: { type: 'sqljs', synchronize: true, logging: false },
        paymentOptions: { paymentMethodHandlers: [paid] },
    });
    await app.get(Populator).populateInitialData({
        defaultLanguage: 'en',
        defaultZone: 'Europe',
        countries: [{ name: 'Germany', code: 'DE', zone: 'Europe' }],
        taxRates: [{ name: 'Standard', percentage: 19 }],
        shippingMethods: [{ name: 'Courier', price: 500 }],
        paymentMethods: [{ name: 'Paid', handler: { code: 'paid', arguments: [] } }],
        collections: [],
    });
    const address = `http://127.0.0.1:${app.getHttpServer().address().port}`;
    const sessions = {};
    async function ask(api, query) {
        const headers = { 'content-type': 'application/json' };
        if (sessions[api]) headers.authorization = `Bearer ${sessions[api]}`;
        const answer = await fetch(`${address}/${api}`, { method: 'POST', headers, body: JSON.stringify({ query }) });
        sessions[api] = answer.headers.get('vendure-auth-token') || sessions[api];
        const { data, errors } = await answer.json();
        assert(!errors, JSON.stringify(errors));
        return data;
    }
    await ask('admin-api', 'mutation { login(username: "superadmin", password: "superadmin") { __typename } }');
    await ask('admin-api', `mutation {
        createProduct(input: { translations: [{ languageCode: en, name: "Kettle", slug: "kettle", description: "" }] }) { id }
    }`);
    await ask('admin-api', `mutation { createProductVariants(input: [{
        productId: 1, sku: "KETTLE", price: 1000, stockOnHand: 9, translations: [{ languageCode: en, name: "Kettle" }]
    }]) { id } }`);
    await ask('shop-api', 'mutation { addItemToOrder(productVariantId: 1, quantity: 2) { __typename } }');
    await ask('shop-api', `mutation {
        setCustomerForOrder(input: { firstName: "A", lastName: "B", emailAddress: "a@example.com" }) { __typename }
        setOrderShippingAddress(input: { streetLine1: "Main Street 1", countryCode: "DE" }) { __typename }
        setOrderShippingMethod(shippingMethodId: [1]) { __typename }
        transitionOrderToState(state: "ArrangingPayment") { __typename }
        addPaymentToOrder(input: { method: "paid", metadata: {} }) { __typename }
    }`);
    const refund = async given => {
        const query = `mutation { refundOrder(input: { paymentId: 1, amount: 100, reason: "late" ${given} }) {
            __typename ... on Refund { state total }
        } }`;
        return ask('admin-api', query).then(data => data.refundOrder, error => error.message);
    };
    const alone = await refund('');
    const { order } = await ask('admin-api', '{ order(id: 1) { payments { refunds { total } } } }');
    const providerSays = givenBack;
    const withDeprecated = await refund(', lines: [], shipping: 0, adjustment: 0');
    console.log('@vendure/core', VENDURE_VERSION);
    console.log('amount alone:', alone);
    console.log('given back by the provider:', providerSays, 'refunds in Vendure:', JSON.stringify(order.payments[0].refunds));
    console.log('with the deprecated fields:', JSON.stringify(withDeprecated));
    assert.match(alone, /NOT NULL constraint failed: refund.shipping/, 'the amount alone is enough now');
    assert.equal(providerSays, 100, 'the provider is not asked before the row is written any more');
    assert.deepEqual(order.payments[0].refunds, []);
    assert.equal(withDeprecated.total, 100);
    process.exit(0);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
JS
node try.js
