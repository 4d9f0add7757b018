"""What the sandbox asks Vendure for, as its superadmin and as a buyer."""

from __future__ import annotations

REASON = "... on ErrorResult{errorCode message}"

# -- shops -------------------------------------------------------------------------------------------------------------

WHAT_THERE_IS = """{
    activeChannel{defaultTaxZone{id}} products{items{id}} shippingMethods{items{id}} paymentMethods{items{id}}
    promotions{items{id}} stockLocations{items{id}}
}"""
NEW_CHANNEL = f"mutation($input:CreateChannelInput!){{createChannel(input:$input){{... on Channel{{id}} {REASON}}}}}"
FILL_CHANNEL = """mutation(
    $channel:ID!,$code:String!,$products:[ID!]!,$shippingMethods:[ID!]!,$paymentMethods:[ID!]!,$promotions:[ID!]!,
    $stockLocations:[ID!]!
){
    assignProductsToChannel(input:{channelId:$channel,productIds:$products,priceFactor:1}){id}
    assignShippingMethodsToChannel(input:{channelId:$channel,shippingMethodIds:$shippingMethods}){id}
    assignPaymentMethodsToChannel(input:{channelId:$channel,paymentMethodIds:$paymentMethods}){id}
    assignPromotionsToChannel(input:{channelId:$channel,promotionIds:$promotions}){id}
    assignStockLocationsToChannel(input:{channelId:$channel,stockLocationIds:$stockLocations}){id}
    createRole(input:{code:$code,description:$code,permissions:[ReadOrder,UpdateOrder],channelIds:[$channel]}){id}
}"""
NEW_ADMINISTRATOR = "mutation($input:CreateAdministratorInput!){createAdministrator(input:$input){id}}"
NEW_PASSWORD = "mutation($input:UpdateAdministratorInput!){updateAdministrator(input:$input){id}}"  # noqa: S105
VARIANT = "query($sku:String!){productVariants(options:{filter:{sku:{eq:$sku}}}){items{id}}}"
LINES = f"""mutation{{
    addItemsToOrder(inputs:[
        {{productVariantId:1,quantity:2}},{{productVariantId:2,quantity:1}},{{productVariantId:3,quantity:3}}
    ]){{order{{id}} errorResults{{{REASON}}}}}
}}"""
REST_OF_ORDER = f"""mutation($payment:PaymentInput!){{
    applyCouponCode(couponCode:"TEN"){{__typename {REASON}}}
    setCustomerForOrder(
        input:{{firstName:"Ada",lastName:"Byron",emailAddress:"ada@example.com",phoneNumber:"+48 22 555 01 02"}}
    ){{__typename {REASON}}}
    setOrderShippingAddress(input:{{
        fullName:"Ada Byron",streetLine1:"Prosta 1",city:"Warszawa",postalCode:"00-001",countryCode:"PL"
    }}){{__typename {REASON}}}
    setOrderShippingMethod(shippingMethodId:[1]){{__typename {REASON}}}
    transitionOrderToState(state:"ArrangingPayment"){{__typename {REASON}}}
    addPaymentToOrder(input:$payment){{__typename {REASON}}}
}}"""
TRANSITION = f"""mutation($id:ID!,$state:String!){{
    transitionOrderToState(id:$id,state:$state){{
        __typename {REASON} ... on OrderStateTransitionError{{transitionError}}
    }}
}}"""
MODIFY = f"mutation($input:ModifyOrderInput!){{modifyOrder(input:$input){{__typename {REASON}}}}}"
MANUAL_PAYMENT = f"""mutation($input:ManualPaymentInput!){{
    addManualPaymentToOrder(input:$input){{__typename {REASON}}}
}}"""
SEEN = """query($id:ID!){order(id:$id){
    state updatedAt totalWithTax lines{id quantity} fulfillments{id state trackingCode lines{orderLineId quantity}}
    payments{id state amount refunds{id state total}} history(options:{take:100}){totalItems items{type data}}
}}"""
SETTLE = f"mutation($id:ID!){{settlePayment(id:$id){{__typename {REASON}}}}}"
CANCEL = f"mutation($input:CancelOrderInput!){{cancelOrder(input:$input){{__typename {REASON}}}}}"
REFUND = f"mutation($input:RefundOrderInput!){{refundOrder(input:$input){{__typename {REASON}}}}}"
NOTE = "mutation($input:AddNoteToOrderInput!){addNoteToOrder(input:$input){id}}"
