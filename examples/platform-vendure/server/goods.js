'use strict';
/* What the shops sell, at which tax, and how it is paid and sent: once for the whole server. */
const { LanguageCode, PromotionService, Populator, ProductService, ProductVariantService } = require('@vendure/core');
const { RequestContextService, TaxCategoryService, TransactionalConnection, User } = require('@vendure/core');

const BASICS = {
    defaultLanguage: LanguageCode.en,
    defaultZone: 'Europe',
    countries: [
        { name: 'Germany', code: 'DE', zone: 'Europe' },
        { name: 'Poland', code: 'PL', zone: 'Europe' },
    ],
    taxRates: [
        { name: 'Standard', percentage: 23 },
        { name: 'Reduced', percentage: 8 },
        { name: 'Zero', percentage: 0 },
    ],
    shippingMethods: [{ name: 'Courier', price: 1499, taxRate: 23 }],
    paymentMethods: [
        { name: 'Invoice', handler: { code: 'invoice', arguments: [] } },
        { name: 'On delivery', handler: { code: 'on-delivery', arguments: [] } },
    ],
    collections: [],
};

const GOODS = [
    { name: 'Kettle', sku: 'KETTLE', price: 12999, tax: 'Standard' },
    { name: 'Honey', sku: 'HONEY', price: 1995, tax: 'Reduced' },
    { name: 'Stamp', sku: 'STAMP', price: 333, tax: 'Zero' },
];

const named = name => [{ languageCode: LanguageCode.en, name, slug: name.toLowerCase(), description: '' }];

async function superadmin(app) {
    const users = app.get(TransactionalConnection).rawConnection.getRepository(User);
    const user = await users.findOneOrFail({ where: { identifier: process.env.SUPERADMIN_USERNAME } });
    return app.get(RequestContextService).create({ apiType: 'admin', user, languageCode: LanguageCode.en });
}

async function populate(app) {
    await app.get(Populator).populateInitialData(BASICS);
    const ctx = await superadmin(app);
    const { items: taxes } = await app.get(TaxCategoryService).findAll(ctx);
    for (const { name, sku, price, tax } of GOODS) {
        const product = await app.get(ProductService).create(ctx, { enabled: true, translations: named(name) });
        const taxCategoryId = taxes.find(category => category.name === tax).id;
        await app.get(ProductVariantService).create(ctx, [
            { productId: product.id, sku, price, taxCategoryId, trackInventory: 'FALSE', translations: named(name) },
        ]);
    }
    await app.get(PromotionService).createPromotion(ctx, {
        enabled: true,
        couponCode: 'TEN',
        conditions: [],
        actions: [{ code: 'order_percentage_discount', arguments: [{ name: 'discount', value: '10' }] }],
        translations: named('Ten per cent off'),
    });
}

module.exports = { populate, superadmin };
