// What certroll needs in a subscription: an identity that a pod of AKS may be, the role with what it does and nothing else, and, once
// certroll runs, the subscriptions by which vaults tell it of changes. docs/azure-setup.md says how to deploy it, and the same as az
// commands. It may be deployed again at any time.

targetScope = 'subscription'

@description('Region of the identity.')
param location string

@description('Resource group that the identity is made in. It must be there.')
param identityResourceGroup string

@description('Name of the identity.')
param identityName string = 'certroll'

@description('Issuer of the cluster: az aks show --query oidcIssuerProfile.issuerUrl. It ends with a slash.')
param issuerUrl string

@description('Namespace that certroll is installed in.')
param kubernetesNamespace string = 'certroll'

@description('Service account of certroll in the cluster.')
param serviceAccount string = 'certroll'

@description('Name of the role. It is unique in a tenant: for a second subscription say another.')
param roleName string = 'certroll'

@description('Resource groups of the cloud services. Empty: the whole subscription, so that services are listed instead of read one by one.')
param serviceResourceGroups array = []

@description('Vaults that certificates come from, each as { resourceGroup, name, location }. They authorize by roles (RBAC).')
param vaults array

@description('Address of the webhook, https://HOST/events. Empty: no subscriptions. Set it once certroll runs, since it has to consent.')
param webhookEndpoint string = ''

@description('Application that stands for the webhook: Event Grid has a role in it (docs/events.md).')
param webhookApplicationId string = ''

module identity 'modules/identity.bicep' = {
  name: 'certroll-identity'
  scope: resourceGroup(identityResourceGroup)
  params: {
    location: location
    name: identityName
    issuerUrl: issuerUrl
    kubernetesNamespace: kubernetesNamespace
    serviceAccount: serviceAccount
  }
}

var here = subscription().id

// The actions stand in one place, which the az command of docs/permissions.md reads too.
var role = loadJsonContent('certroll-role.json')

resource definition 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, roleName)
  properties: {
    roleName: roleName
    type: 'CustomRole'
    description: role.Description
    permissions: [
      {
        actions: role.Actions
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
    assignableScopes: [
      here
    ]
  }
}

resource wholeSubscription 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (empty(serviceResourceGroups)) {
  name: guid(here, identityResourceGroup, identityName, roleName)
  properties: {
    principalId: identity.outputs.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: definition.id
  }
}

module services 'modules/services.bicep' = [for (group, i) in serviceResourceGroups: {
  name: 'certroll-services-${i}'
  scope: resourceGroup(group)
  params: {
    principalId: identity.outputs.principalId
    roleDefinitionId: definition.id
  }
}]

module access 'modules/vault.bicep' = [for (vault, i) in vaults: {
  name: 'certroll-vault-${i}'
  scope: resourceGroup(vault.resourceGroup)
  params: {
    vaultName: vault.name
    principalId: identity.outputs.principalId
    roleDefinitionId: definition.id
  }
}]

module events 'modules/events.bicep' = [for (vault, i) in vaults: if (!empty(webhookEndpoint)) {
  name: 'certroll-events-${i}'
  scope: resourceGroup(vault.resourceGroup)
  params: {
    vaultName: vault.name
    location: vault.location
    endpoint: webhookEndpoint
    tenantId: subscription().tenantId
    applicationId: webhookApplicationId
  }
}]

@description('For the chart: workloadIdentity.clientId.')
output clientId string = identity.outputs.clientId

@description('For the chart: workloadIdentity.tenantId.')
output tenantId string = subscription().tenantId

@description('The object id that roles are assigned to.')
output principalId string = identity.outputs.principalId
